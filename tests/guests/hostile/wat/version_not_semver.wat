;; Has a version that is no semantic version: the host refuses it.
(data $version (i32.const 1280) "1.0.0.0 final")
(global $version_length i32 (i32.const 13))
