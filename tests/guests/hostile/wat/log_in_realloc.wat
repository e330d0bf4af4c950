;; Logs from within the allocation of an argument, where a guest may not call out: the engine stops it.
(import "exeat:plugin/log@0.1.0" "enabled" (func $enabled (param i32) (result i32)))
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (drop (call $enabled (i32.const 2)))
  (i32.const 4096))
