;; Components in components: 512 core instances all together, more than the host's limit of 64.
(component
  (component $eight
    (core module $tiny (func (export "f")))
    (core instance (instantiate $tiny)) (core instance (instantiate $tiny))
    (core instance (instantiate $tiny)) (core instance (instantiate $tiny))
    (core instance (instantiate $tiny)) (core instance (instantiate $tiny))
    (core instance (instantiate $tiny)) (core instance (instantiate $tiny)))
  (component $sixty_four
    (alias outer 1 $eight (component $inner))
    (instance (instantiate $inner)) (instance (instantiate $inner))
    (instance (instantiate $inner)) (instance (instantiate $inner))
    (instance (instantiate $inner)) (instance (instantiate $inner))
    (instance (instantiate $inner)) (instance (instantiate $inner)))
  (instance (instantiate $sixty_four)) (instance (instantiate $sixty_four))
  (instance (instantiate $sixty_four)) (instance (instantiate $sixty_four))
  (instance (instantiate $sixty_four)) (instance (instantiate $sixty_four))
  (instance (instantiate $sixty_four)) (instance (instantiate $sixty_four)))
