;; Says that its description lies past the end of memory: the host must not read there.
(func $describe (export "exeat:plugin/transform@0.1.0#describe") (result i32)
  (i32.const 0xfffffff8))
