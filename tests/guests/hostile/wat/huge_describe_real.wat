;; Has a summary that is really 40 MiB: the host takes no more than its limit, or cuts it.
(memory $memory (export "memory") 656)
(data $summary (i32.const 1536) "It goes on")
(global $summary_length i32 (i32.const 0x02800000))
