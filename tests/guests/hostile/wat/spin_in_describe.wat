;; Calculates for ever when it is asked what it is: the host stops it at a deadline.
(func $describe (export "exeat:plugin/transform@0.1.0#describe") (result i32)
  (loop $again (br $again))
  unreachable)
