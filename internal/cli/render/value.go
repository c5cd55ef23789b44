package render

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"
)

// value is what a cell holds, in one of few forms: nil (absent), string, int64,
// uint64, float64 (finite), bool, time.Time (not zero), time.Duration,
// []string, json.RawMessage (valid).
type value any

// normal brings v into one of the forms of a value. A nil pointer, an SQL null,
// the zero time and a float that is no number are absent; a nil []string is an
// empty list; raw JSON that is not valid is text.
func normal(v any) (value, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string, int64, uint64, bool, time.Duration, []string:
		return v, nil
	case int:
		return int64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil
		}
		return v, nil
	case time.Time:
		if v.IsZero() {
			return nil, nil
		}
		return v, nil
	case json.RawMessage:
		switch {
		case len(v) == 0, string(v) == "null":
			return nil, nil
		case !json.Valid(v):
			return string(v), nil
		}
		return v, nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return nil, nil
		}
		return normal(rv.Elem().Interface())
	}
	if v, ok := v.(driver.Valuer); ok {
		inner, err := v.Value()
		if err != nil {
			return nil, err
		}
		if b, ok := inner.([]byte); ok {
			return string(b), nil
		}
		return normal(inner)
	}
	switch {
	case rv.Kind() == reflect.String:
		return rv.String(), nil
	case rv.Kind() == reflect.Bool:
		return rv.Bool(), nil
	case rv.CanInt():
		return rv.Int(), nil
	case rv.CanUint():
		return rv.Uint(), nil
	case rv.CanFloat():
		return normal(rv.Float())
	}
	return nil, fmt.Errorf("a value of type %T cannot be printed", v)
}
