;; Claims a summary of 200 MiB in a memory of 128 KiB: the host refuses before it allocates.
(data $summary (i32.const 1536) "Where does it end")
(global $summary_length i32 (i32.const 0x0c800000))
