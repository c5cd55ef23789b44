package synth

import "fmt"

// Era is a time in Cowrie's history whose shape of events is written.
type Era int

// The eras.
const (
	EraMixed Era = iota // each sensor one of the others, in turn
	Era2018             // 1.4: spaces after separators, system and isError
	Era2020             // 2.0: compact, a wget has a destfile
	Era2024             // 2.5: no destfile, empty transfers have an empty hash
	Era2025             // 2.8: uuid and protocol on every event, durations as text
	Era2026             // 3.0: the connection comes first, eventid later, duration_ms
)

// turn is the order in which sensors get their era when eras are mixed: the
// first three, the default number of sensors, differ most.
var turn = [...]Era{Era2026, Era2018, Era2025, Era2020, Era2024}

var eraNames = [...]string{"mixed", "2018", "2020", "2024", "2025", "2026"}

// String returns the era's name: "mixed", or its year.
func (e Era) String() string {
	if e < 0 || int(e) >= len(eraNames) {
		return fmt.Sprintf("Era(%d)", int(e))
	}
	return eraNames[e]
}

// ParseEra is the inverse of String. Other text gives ErrOptions.
func ParseEra(name string) (Era, error) {
	for i, n := range eraNames {
		if n == name {
			return Era(i), nil
		}
	}
	return 0, fmt.Errorf("%w: unknown era %q", ErrOptions, name)
}

// of returns the era of a sensor.
func (e Era) of(sensor int) Era {
	if e == EraMixed {
		return turn[sensor%len(turn)]
	}
	return e
}
