package stint

import "math/bits"

// divisor divides by a number that is known early, with one multiplication: x/m = x·magic >> (64+shift), where magic is
// ⌊2^(64+shift)/m⌋+1 and shift ⌊log₂ m⌋ (one less for powers of two). Exact for every x < 2^63, since the error of magic, at
// most m < 2^(shift+1), times x stays under 2^(64+shift). Granlund and Montgomery, "Division by invariant integers using
// multiplication", 1994.
type divisor struct {
	magic uint64
	shift uint8
}

func newDivisor(m int64) divisor {
	if m == 1 {
		return divisor{}
	}
	d := uint64(m)
	shift := uint8(bits.Len64(d) - 1)
	if d&(d-1) == 0 {
		return divisor{1 << 63, shift - 1}
	}
	quotient, _ := bits.Div64(1<<shift, 0, d)
	return divisor{quotient + 1, shift}
}

// of is x/m rounded down, for x in [0, 2^63).
func (d divisor) of(x int64) int64 {
	if d.magic == 0 {
		return x
	}
	hi, _ := bits.Mul64(uint64(x), d.magic)
	return int64(hi >> (d.shift & 63))
}

// up is x/m rounded up, for x in [0, 2^63-m).
func (d divisor) up(x, m int64) int64 { return d.of(x + m - 1) }
