;; Allocates, and grows memory as needed. Frees nothing: each export forgets all when it returns.
(func $realloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
  (local $begin i32)
  (local $end i32)
  (local.set $begin
    (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
  (local.set $end (i32.add (local.get $begin) (local.get $size)))
  (block $fits
    (br_if $fits
      (i32.le_u (local.get $end) (i32.mul (memory.size $memory) (i32.const 65536))))
    (br_if $fits
      (i32.ne
        (memory.grow $memory (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1)))
        (i32.const -1)))
    unreachable)
  (global.set $heap (local.get $end))
  (memory.copy
    (local.get $begin)
    (local.get $old)
    (select
      (local.get $old_size)
      (local.get $size)
      (i32.lt_u (local.get $old_size) (local.get $size))))
  (local.get $begin))
