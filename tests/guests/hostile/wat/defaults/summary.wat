(data $summary (i32.const 1536) "Passes the first column on.")
(global $summary_length i32 (i32.const 27))
