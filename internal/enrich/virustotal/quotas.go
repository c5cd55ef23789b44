package virustotal

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
)

// Quotas are how many requests a key may make, and has made, by VirusTotal's
// own count. There is none for the minute: that is not told.
type Quotas struct {
	Hour, Day, Month Quota
}

// Quota is that of one span of time. Both the user and the group of the user
// are bound by theirs.
type Quota struct {
	User, Group Allowance
}

// Allowance is a number of requests; -1 is one that VirusTotal does not tell.
type Allowance struct {
	Allowed, Used int64
}

// Tightest returns the allowance that leaves least, which is the one that
// binds; false if none is told.
func (q Quota) Tightest() (Allowance, bool) {
	switch user, group := q.User.told(), q.Group.told(); {
	case group && (!user || q.Group.left() < q.User.left()):
		return q.Group, true
	case user:
		return q.User, true
	}
	return Allowance{-1, -1}, false
}

func (a Allowance) told() bool { return a.Allowed >= 0 }

func (a Allowance) left() int64 { return max(a.Allowed-max(a.Used, 0), 0) }

// Quotas asks for the quotas of the key; any error is a *source.Error. The key is in
// the URL of this request.
func (c *Client) Quotas(ctx context.Context) (Quotas, error) {
	r, failed := c.http.Get(ctx, "users", c.key(), "overall_quotas")
	if failed != nil {
		return Quotas{}, failed
	}
	if r.Status != http.StatusOK {
		return Quotas{}, c.refusal(r, nil)
	}
	q, err := parseQuotas(r.Body)
	if err != nil {
		return Quotas{}, c.refusal(r, err)
	}
	return q, nil
}

func parseQuotas(body []byte) (Quotas, error) {
	type shares struct {
		User  share `json:"user"`
		Group share `json:"group"`
	}
	var b struct {
		Data struct {
			Hour  shares `json:"api_requests_hourly"`
			Day   shares `json:"api_requests_daily"`
			Month shares `json:"api_requests_monthly"`
		} `json:"data"`
	}
	if len(body) == 0 {
		return Quotas{}, ErrEmpty
	} else if !json.Valid(body) {
		return Quotas{}, ErrNotJSON
	}
	_ = json.Unmarshal(body, &b) // a member of another type is one that is missing
	quota := func(s shares) Quota { return Quota{User: s.User.allowance(), Group: s.Group.allowance()} }
	q := Quotas{Hour: quota(b.Data.Hour), Day: quota(b.Data.Day), Month: quota(b.Data.Month)}
	for _, one := range []Quota{q.Hour, q.Day, q.Month} {
		if one.User.told() || one.Group.told() {
			return q, nil
		}
	}
	return Quotas{}, ErrNoQuotas
}

type share struct {
	Allowed *requestCount `json:"allowed"`
	Used    *requestCount `json:"used"`
}

func (s share) allowance() Allowance {
	a := Allowance{-1, -1}
	if s.Allowed != nil {
		a.Allowed = int64(*s.Allowed)
	}
	if s.Used != nil {
		a.Used = int64(*s.Used)
	}
	return a
}

// requestCount is a number of requests, which may be written as text; -1 if it
// is none.
type requestCount int64

func (n *requestCount) UnmarshalJSON(b []byte) error {
	*n = -1
	if f, err := strconv.ParseFloat(scalar(b), 64); err == nil && f >= 0 {
		*n = requestCount(min(f, math.MaxInt32))
	}
	return nil
}
