;; Asks for a function of no interface: the host names it and refuses the plugin.
(import "$root" "now" (func $now (result i64)))
