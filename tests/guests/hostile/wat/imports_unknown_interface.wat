;; Asks for an interface that nobody here knows: the host names it and refuses the plugin.
(import "acme:kv/store@1.0.0" "get" (func $get (param i32 i32 i32)))
