#include "textflag.h"

// func prefetchCells(log uintptr, c int64)
TEXT ·prefetchCells(SB), NOSPLIT, $0-16
	MOVQ log+0(FP), AX
	MOVQ c+8(FP), BX
	PREFETCHT0 (AX)
	MOVWLZX BX, CX // the number of runs
	SHRQ $16, BX   // the oldest
	ADDQ BX, CX    // past the newest
	SHLQ $4, BX
	SHLQ $4, CX
	PREFETCHT0 16(AX)(BX*1)
	PREFETCHT0 (AX)(CX*1)
	PREFETCHT0 16(AX)(CX*1)
	RET
