;; Logs at a level that does not exist: the host must not take it for one that does.
(import "exeat:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func $process (export "exeat:plugin/transform@0.1.0#process") (param i64 i32 i32 i32) (result i32)
  (call $write (i32.const 99) (i32.const 1024) (i32.const 4))
  (i32.const 256))
