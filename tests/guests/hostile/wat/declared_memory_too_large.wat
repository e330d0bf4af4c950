;; Declares 1 GiB of memory: the host refuses the plugin or its instance.
(memory $memory (export "memory") 16384)
