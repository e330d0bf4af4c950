;; Returns 4,000 columns that all point to the same 1 MiB: little here, 4 GiB over there. The host
;; counts what it takes, not what the guest has.
(memory $memory (export "memory") 20)
(func $process (export "exeat:plugin/transform@0.1.0#process")
  (param $sequence i64) (param $rows i32) (param $columns i32) (param $columns_length i32)
  (result i32)
  (local $column i32)
  (local.set $column (i32.const 4096))
  (loop $next
    ;; validity: none; values: boolean, 1 MiB from 131072.
    (i32.store8 offset=0 (local.get $column) (i32.const 0))
    (i32.store8 offset=12 (local.get $column) (i32.const 0))
    (i32.store offset=16 (local.get $column) (i32.const 131072))
    (i32.store offset=20 (local.get $column) (i32.const 1048576))
    (local.set $column (i32.add (local.get $column) (i32.const 40)))
    (br_if $next (i32.lt_u (local.get $column) (i32.const 164096))))
  (i32.store offset=4 (i32.const 256) (i32.const 4096))
  (i32.store offset=8 (i32.const 256) (i32.const 4000))
  (i32.const 256))
