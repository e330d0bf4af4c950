;; Uses relaxed SIMD, whose results differ from machine to machine: the host refuses the feature.
(func $relaxed (param v128 v128 v128) (result v128)
  (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
