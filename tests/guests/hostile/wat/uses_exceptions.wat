;; Uses exceptions: the host refuses the feature.
(tag $tag (param i32))
(func $throw
  (throw $tag (i32.const 1)))
