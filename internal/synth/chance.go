package synth

import (
	"math"
	"strconv"
)

// chance returns true n times in a thousand.
func (s *sensor) chance(n int) bool { return s.rng.IntN(1000) < n }

// few returns a number from 0 on, mean on average, the larger the rarer.
func (s *sensor) few(mean float64) int {
	return int(math.Log(1-s.rng.Float64()) / math.Log(mean/(1+mean)))
}

// file returns a file of the population, as often as it is common.
func (s *sensor) file() file { return s.files.file(s.files.pick(), s.rng.Uint64()) }

func (s *sensor) credentials() (user, password string) {
	user = userNames[s.rng.IntN(len(userNames))]
	password = passwords[s.rng.IntN(len(passwords))]
	switch n := s.rng.IntN(1000); {
	case n < 700:
	case n < 980:
		password += strconv.Itoa(s.rng.IntN(10_000))
	case n < 994:
		password = user
	case n < 998:
		password = hostile[s.rng.IntN(len(hostile))]
	default:
		user = hostile[s.rng.IntN(len(hostile))]
	}
	return user, password
}

func (s *sensor) banner(k kind) string {
	if k == scan && s.chance(40) {
		return oddBanners[s.rng.IntN(len(oddBanners))]
	}
	return banners[s.rng.IntN(len(banners))]
}

// attacker returns an address of the ranges for documentation and benchmarks.
func (s *sensor) attacker() string {
	n := s.rng.IntN(1 << 17)
	b := make([]byte, 0, 24)
	switch k := s.rng.IntN(100); {
	case k < 4:
		b = append(b, "2001:db8:"...)
		b = strconv.AppendInt(b, int64(1+n>>12), 16)
		b = append(b, "::"...)
		return string(strconv.AppendInt(b, int64(1+n&0xfff), 16))
	case k < 14:
		b = append(b, "192.0.2."...)
	case k < 24:
		b = append(b, "198.51.100."...)
	case k < 30:
		b = append(b, "203.0.113."...)
	default:
		b = append(b, "198."...)
		b = strconv.AppendInt(b, int64(18+n>>16), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(n>>8&255), 10)
		b = append(b, '.')
	}
	return string(strconv.AppendInt(b, int64(n&255), 10))
}
