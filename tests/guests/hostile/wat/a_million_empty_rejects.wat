;; Returns a million rejects, row after row, that are zeros but for the row: 32 MiB here, much more over there.
(func $process (export "exeat:plugin/transform@0.1.0#process")
  (param $sequence i64) (param $rows i32) (param $columns i32) (param $columns_length i32)
  (result i32)
  (local $number i32)
  (global.set $heap (i32.const 4096))
  (if (i32.lt_u (memory.size $memory) (i32.const 600))
    (then (drop (memory.grow $memory (i32.const 600)))))
  (loop $next
    (i32.store
      (i32.add (i32.const 65536) (i32.mul (local.get $number) (i32.const 32)))
      (i32.rem_u (local.get $number) (local.get $rows)))
    (local.set $number (i32.add (local.get $number) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $number) (i32.const 1000000))))
  (i32.store offset=24 (i32.const 256) (i32.const 65536))
  (i32.store offset=28 (i32.const 256) (i32.const 1000000))
  (i32.const 256))
