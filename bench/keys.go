package bench

import (
	"math/rand/v2"
	"strconv"
)

// keys makes the keys of a stream. Their bytes lie side by side in the order of their use, as a request's own key is warm when
// it is decided; and they are strings of their own, so no map can take two for equal by their address.
func keys(numbers []int) []string {
	bytes := make([]byte, 0, len(numbers)*keyLength)
	for _, n := range numbers {
		bytes = appendKey(bytes, n)
	}
	all := string(bytes)
	names := make([]string, len(numbers))
	for i := range names {
		names[i] = all[i*keyLength : (i+1)*keyLength]
	}
	return names
}

// keyLength is the length of each key: "customer:" and eight digits.
const keyLength = 17

func appendKey(bytes []byte, n int) []byte {
	bytes = append(bytes, "customer:"...)
	for zeros := 10_000_000; zeros > max(n, 1); zeros /= 10 {
		bytes = append(bytes, '0')
	}
	return strconv.AppendInt(bytes, int64(n), 10)
}

// one is one key, again and again.
func one(int) []string { return keys(make([]int, block)) }

// inOrder is each of n keys once. Limiters are filled with it: what they allocate must not lie in the order of the stream.
func inOrder(n int) []string {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return keys(numbers)
}

// uniform is each of n keys once, in random order.
func uniform(n int) []string { return keys(rand.New(rand.NewPCG(1, uint64(n))).Perm(n)) }

// zipf is 2n draws of n keys, of which the k-th is drawn in proportion to k^-1.1.
func zipf(n int) []string {
	random := rand.New(rand.NewPCG(2, uint64(n)))
	places := random.Perm(n)
	draw := rand.NewZipf(random, 1.1, 1, uint64(n-1))
	numbers := make([]int, 2*n)
	for i := range numbers {
		numbers[i] = places[draw.Uint64()]
	}
	return keys(numbers)
}
