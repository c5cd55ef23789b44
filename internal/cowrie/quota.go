package cowrie

// Limits are how many requests a source allows; 0 is no limit.
type Limits struct {
	Minute, Day, Month int64
}

// Usage is how much of a quota is used, at a moment.
type Usage struct {
	Limits
	// In the last 60 seconds, since 00:00 UTC, and since the first of the month.
	UsedMinute, UsedDay, UsedMonth int64
	// When the next request fits the limit of the minute; NoTime if one fits now.
	MinuteFree Time
	// When day and month begin anew.
	DayReset, MonthReset Time
}

// QuotaPeriod is what is used up.
type QuotaPeriod string

// The periods of a quota.
const (
	PerMinute QuotaPeriod = "minute"
	PerDay    QuotaPeriod = "day"
	PerMonth  QuotaPeriod = "month"
)

// Grant says whether a request may be made.
type Grant struct {
	OK bool
	// If not: when to ask again, and what is used up.
	Until  Time
	Period QuotaPeriod
}
