;; Gives the same room for every argument: the host overwrites its own arguments, and nobody else is harmed.
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (i32.const 4096))
