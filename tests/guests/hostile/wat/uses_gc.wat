;; Uses types of the garbage collector: the host refuses the feature.
(type $point (struct (field $x i32) (field $y (mut i64))))
(func $make (result (ref $point))
  (struct.new $point (i32.const 1) (i64.const 2)))
