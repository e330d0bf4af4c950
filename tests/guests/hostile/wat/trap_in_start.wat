;; Traps when it is instantiated: the host refuses the plugin.
(func $trap unreachable)
(start $trap)
