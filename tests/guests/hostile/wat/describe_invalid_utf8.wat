;; Has a name that is not UTF-8: the host refuses it.
(data $name (i32.const 1024) "evil\c3\28")
(global $name_length i32 (i32.const 6))
