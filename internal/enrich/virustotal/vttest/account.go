package vttest

import "time"

// Account is a user of VirusTotal. No two may have the same key or name.
type Account struct {
	Key  string
	User string // identifies the user, besides the key
	// How many look-ups are allowed in any 60 seconds, in a day of UTC, and in a
	// month; 0 is no limit.
	Minute, Day, Month int
	// How many look-ups others have made with the key on the day and in the month
	// in which the account is added.
	UsedDay, UsedMonth int
	// Group is shared by its members, and binds them as well; nil is none.
	Group *Group
	// Inactive: the user has not confirmed the account.
	Inactive bool
}

// Group is a group of users.
type Group struct {
	Day, Month         int // as for an account
	UsedDay, UsedMonth int // when its first member is added
}

// Public returns an account with the quota of a public key.
func Public(key string) Account {
	return Account{Key: key, User: "user-" + key[:min(len(key), 4)], Minute: 4, Day: 500, Month: 15500}
}

// usage is what a user or a group has used.
type usage struct {
	day, month     string // which those are
	inDay, inMonth int
	granted        []time.Time // those of the last hour
}

// roll begins a new day and a new month if it is time to. A clock that is set
// back begins anew, too: the fake does not remember other days.
func (u *usage) roll(now time.Time) {
	if day := now.UTC().Format("2006-01-02"); day != u.day {
		u.day, u.inDay = day, 0
	}
	if month := now.UTC().Format("2006-01"); month != u.month {
		u.month, u.inMonth = month, 0
	}
	for len(u.granted) > 0 && u.granted[0].Before(now.Add(-time.Hour)) {
		u.granted = u.granted[1:]
	}
}

func (u *usage) grant(now time.Time) {
	u.inDay++
	u.inMonth++
	u.granted = append(u.granted, now)
}

// since returns those granted in the time before now, and the first of them.
func (u *usage) since(now time.Time, span time.Duration) (n int, first time.Time) {
	for i := len(u.granted) - 1; i >= 0; i-- {
		at := u.granted[i]
		if !at.After(now.Add(-span)) {
			break
		}
		if !at.After(now) { // the clock may have been set back
			n, first = n+1, at
		}
	}
	return n, first
}

// member is an account and what it has used.
type member struct {
	Account
	usage usage
	group *usage // nil if there is none
}

// take spends a request, or says how long there is none to spend.
func (m *member) take(now time.Time) (ok bool, wait time.Duration) {
	m.usage.roll(now)
	if m.group != nil {
		m.group.roll(now)
	}
	day := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	month := time.Date(now.UTC().Year(), now.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
	over := func(allowed, used int) bool { return allowed > 0 && used >= allowed }
	switch g := m.Group; {
	case over(m.Month, m.usage.inMonth) || g != nil && over(g.Month, m.group.inMonth):
		return false, month.Sub(now)
	case over(m.Day, m.usage.inDay) || g != nil && over(g.Day, m.group.inDay):
		return false, day.Sub(now)
	}
	if m.Minute > 0 {
		if n, first := m.usage.since(now, time.Minute); n >= m.Minute {
			return false, first.Add(time.Minute).Sub(now)
		}
	}
	m.usage.grant(now)
	if m.group != nil {
		m.group.grant(now)
	}
	return true, 0
}

// unlimited is what VirusTotal writes for no limit.
const unlimited = 1000000000

// quotas returns the body that tells the quotas.
func (m *member) quotas(now time.Time) []byte {
	m.usage.roll(now)
	share := func(allowed, used int) map[string]int {
		if allowed == 0 {
			allowed = unlimited
		}
		return map[string]int{"allowed": allowed, "used": used}
	}
	inHour, _ := m.usage.since(now, time.Hour)
	hour := map[string]any{"user": share(m.Minute*60, inHour)}
	day := map[string]any{"user": share(m.Day, m.usage.inDay)}
	month := map[string]any{"user": share(m.Month, m.usage.inMonth)}
	if m.Group != nil {
		m.group.roll(now)
		day["group"] = share(m.Group.Day, m.group.inDay)
		month["group"] = share(m.Group.Month, m.group.inMonth)
	}
	return encode(map[string]any{"data": map[string]any{
		"api_requests_hourly": hour, "api_requests_daily": day, "api_requests_monthly": month,
		"intelligence_searches_monthly": map[string]any{"user": map[string]int{"allowed": 0, "used": 0}},
	}})
}
