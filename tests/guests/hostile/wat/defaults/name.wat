(data $name (i32.const 1024) "hostile-wat")
(global $name_length i32 (i32.const 11))
