;; Asks for sockets: the host names the interface and refuses the plugin.
(import "wasi:sockets/tcp@0.2.0" "connect" (func $connect (param i32 i32)))
