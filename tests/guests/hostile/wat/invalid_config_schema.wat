;; Has a configuration schema that is JSON but no schema.
(data $schema (i32.const 2048) "{\22type\22: 12}")
(global $schema_length i32 (i32.const 12))
