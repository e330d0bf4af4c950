;; Has a configuration schema that is no JSON.
(data $schema (i32.const 2048) "{\22type\22: ")
(global $schema_length i32 (i32.const 9))
