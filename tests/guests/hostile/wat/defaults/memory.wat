;; Linear memory. Below 1024 lie records that the functions return, below 4096 texts; the heap follows.
(memory $memory (export "memory") 2)
