;; Calculates for ever in the function that the host calls once it has taken the answer.
(func $forever (export "cabi_post_exeat:plugin/transform@0.1.0#process") (param i32)
  (loop $again (br $again)))
