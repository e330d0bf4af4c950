;; Fifteen floors of components, each of which has the one below it eight times: a few hundred bytes,
;; so few instances that counting those that are written down finds nothing, and 10^13 core instances.
;; Who follows every instance never comes to an end.
(component
  (component $floor0
    (core module $tiny (func (export "f")))
    (core instance (instantiate $tiny)))
  (component $floor1
    (alias outer 1 $floor0 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor2
    (alias outer 1 $floor1 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor3
    (alias outer 1 $floor2 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor4
    (alias outer 1 $floor3 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor5
    (alias outer 1 $floor4 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor6
    (alias outer 1 $floor5 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor7
    (alias outer 1 $floor6 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor8
    (alias outer 1 $floor7 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor9
    (alias outer 1 $floor8 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor10
    (alias outer 1 $floor9 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor11
    (alias outer 1 $floor10 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor12
    (alias outer 1 $floor11 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor13
    (alias outer 1 $floor12 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor14
    (alias outer 1 $floor13 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (component $floor15
    (alias outer 1 $floor14 (component $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below))
    (instance (instantiate $below)) (instance (instantiate $below)))
  (instance (instantiate $floor15)))
