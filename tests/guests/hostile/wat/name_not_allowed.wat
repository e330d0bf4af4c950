;; Has a name that is a path: the host refuses it.
(data $name (i32.const 1024) "../evil")
(global $name_length i32 (i32.const 7))
