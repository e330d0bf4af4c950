(data $version (i32.const 1280) "0.1.0")
(global $version_length i32 (i32.const 5))
