;; Logs a text past the end of memory: the host must not read there.
(import "exeat:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func $process (export "exeat:plugin/transform@0.1.0#process") (param i64 i32 i32 i32) (result i32)
  (call $write (i32.const 2) (i32.const 0xffffff00) (i32.const 4096))
  (i32.const 256))
