;; Asks for HTTP: the host names the interface and refuses the plugin.
(import "wasi:http/outgoing-handler@0.2.0" "handle" (func $handle (param i32 i32)))
