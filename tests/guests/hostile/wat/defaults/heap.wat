;; Where the next allocation begins.
(global $heap (mut i32) (i32.const 4096))
