;; Has a memory of 64-bit addresses: the host refuses the feature.
(module (memory i64 1))
