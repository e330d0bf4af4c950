;; Grows a table in a loop, and traps once the host refuses: the host must refuse.
(table $table 1 funcref)
(func $describe (export "exeat:plugin/transform@0.1.0#describe") (result i32)
  (loop $again
    (br_if $again
      (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
  unreachable)
