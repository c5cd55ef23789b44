package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

// canary is the secret of most tests, with a character in it that encodings
// write in another way. No part of it may be seen.
const canary = `canary<5d41402abc4b2a76b9719d911017c592`

// hasCanary reports whether text shows the canary, or a good part of it, in any
// usual way.
func hasCanary(text string) bool {
	hex := fmt.Sprintf("%x", "canary")
	for _, part := range []string{"canary", "5d41402abc4b2a", "b9719d911017c592", hex, strings.ToUpper(hex), "[99 97 110", "0x63, 0x61", "Y2FuYXJ5"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func TestHasCanary(t *testing.T) {
	for _, format := range []string{"%s", "%q", "%x", "%X", "%v", "%#v", "%d"} {
		if s := fmt.Sprintf(format, canary); !hasCanary(s) && format != "%d" {
			t.Errorf("not found in %s", s)
		}
		if s := fmt.Sprintf(format, []byte(canary)); !hasCanary(s) {
			t.Errorf("not found in %s", s)
		}
	}
}

// carrier holds secrets in all the ways a struct can.
type carrier struct {
	Name    string
	Open    Secret
	Pointer *Secret
	List    []Secret
	Map     map[string]Secret
	Any     any `toml:"-"`
	closed  Secret
	deep    struct{ list []Secret }
}

func newCarrier(text string) carrier {
	s := New(text)
	c := carrier{Name: "api", Open: s, Pointer: &s, List: []Secret{s}, Map: map[string]Secret{"key": s}, Any: s, closed: s}
	c.deep.list = []Secret{s}
	return c
}

func TestNoVerbShowsIt(t *testing.T) {
	c := newCarrier(canary)
	for verb := byte('!'); verb <= '~'; verb++ {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "20", "+#20.3"} {
			format := "%" + flags + string(verb)
			for _, value := range []any{c.Open, c.Pointer, &c.Pointer, c.List, c.Map, c, &c, c.deep, map[Secret]int{c.Open: 1}, struct{ s any }{c.Open}, struct{ p *Secret }{c.Pointer}} {
				if s := fmt.Sprintf(format, value); hasCanary(s) {
					t.Errorf("%s of %T gives %s", format, value, s)
				}
			}
			// Some are no verbs for values, and fmt itself answers.
			if s := fmt.Sprintf(format, c.Open); !strings.Contains("Tpw%*[0123456789.+-#", string(verb)) && s != shown {
				t.Errorf("%s gives %q", format, s)
			}
		}
	}
	for _, s := range []string{fmt.Sprint(c.Open), fmt.Sprintln(c.Open), c.Open.String(), c.Open.GoString(), fmt.Errorf("no: %w, %v", errors.New("x"), c.Open).Error()} {
		if hasCanary(s) || !strings.Contains(s, shown) {
			t.Errorf("%q", s)
		}
	}
}

func TestNoEncoderShowsIt(t *testing.T) {
	c := newCarrier(canary)
	type exported struct {
		Open    Secret
		Pointer *Secret
		List    []Secret
		Map     map[string]Secret
	}
	e := exported{c.Open, c.Pointer, c.List, c.Map}
	encoders := map[string]func(v any) ([]byte, error){
		"json": json.Marshal,
		"json with indent": func(v any) ([]byte, error) {
			return json.MarshalIndent(v, "", " ")
		},
		"toml": toml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
		"slog as text": func(v any) ([]byte, error) {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v, slog.Group("g", "v", v))
			return b.Bytes(), nil
		},
		"slog as json": func(v any) ([]byte, error) {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).With("w", v).Info("m", "v", v, slog.Group("g", "v", v))
			return b.Bytes(), nil
		},
		"log": func(v any) ([]byte, error) {
			var b bytes.Buffer
			log.New(&b, "", 0).Println(v)
			return b.Bytes(), nil
		},
	}
	for name, encode := range encoders {
		for _, v := range []any{e, c.List, c.Map, c.Open} {
			if name == "toml" && reflect.TypeOf(v).Kind() != reflect.Map && reflect.TypeOf(v) != reflect.TypeOf(e) {
				continue // no TOML document
			}
			text, err := encode(v)
			if err != nil || hasCanary(string(text)) || !bytes.Contains(text, []byte(shown)) {
				t.Errorf("%s of %T: %q, %v", name, v, text, err)
			}
		}
	}
	type config struct{ Key Secret }
	text, err := xml.Marshal(config{c.Open})
	if err != nil || !strings.Contains(string(text), "<Key>"+shown+"</Key>") {
		t.Errorf("xml: %s, %v", text, err)
	}
	text, err = json.Marshal(map[Secret]int{c.Open: 1})
	if err != nil || string(text) != `{"[secret]":1}` {
		t.Errorf("key of a map: %s, %v", text, err)
	}
	text, err = json.Marshal(struct {
		Key Secret `json:",omitzero"`
	}{})
	if err != nil || string(text) != `{}` {
		t.Errorf("omitzero: %s, %v", text, err)
	}
}

func TestNoDecoderMakesOne(t *testing.T) {
	// A configuration that has the secret itself must not come through by chance.
	var into struct{ Key Secret }
	if err := json.Unmarshal([]byte(`{"Key":"`+canary+`"}`), &into); err == nil || hasCanary(err.Error()) || !into.Key.IsZero() {
		t.Errorf("json: %v", err)
	}
	if err := toml.Unmarshal([]byte(`Key = "`+canary+`"`), &into); err == nil || hasCanary(err.Error()) || !into.Key.IsZero() {
		t.Errorf("toml: %v", err)
	}
}

func TestPanicDoesNotShowIt(t *testing.T) {
	defer func() {
		if s := fmt.Sprint(recover()); hasCanary(s) || s != shown {
			t.Errorf("%q", s)
		}
	}()
	panic(New(canary))
}

func TestComparison(t *testing.T) {
	a, b := New(canary), New(strings.Clone(canary))
	other := New(canary + "x")
	if a != b || !a.Equal(b) || a == other || a.Equal(other) || !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, other) {
		t.Error("== must be that of the texts")
	}
	if any(a) != any(b) || map[Secret]int{a: 1}[b] != 1 {
		t.Error("secrets must be keys of maps")
	}
	if d := cmp.Diff(a, other); d == "" || hasCanary(d) {
		t.Errorf("the difference shows the secret, or there is none: %q", d)
	}
	if d := cmp.Diff([]any{a}, []any{b}); d != "" {
		t.Errorf("a difference between equal secrets: %q", d)
	}
	all := cmp.AllowUnexported(carrier{}, struct{ list []Secret }{})
	if d := cmp.Diff(newCarrier(canary), newCarrier("x"), all); d == "" || hasCanary(d) {
		t.Errorf("the difference shows the secret, or there is none: %q", d)
	}
}

func TestZero(t *testing.T) {
	var zero Secret
	if !zero.IsZero() || zero != New("") || !zero.Equal(New("")) || zero.Reveal() != "" || zero.Fingerprint() != "" || fmt.Sprint(zero) != shown {
		t.Error("the zero value must be the empty text, and look like all others")
	}
	if s := New(canary); s.IsZero() || s.Reveal() != canary {
		t.Errorf("Reveal gives %q", s.Reveal())
	}
}

func TestFingerprint(t *testing.T) {
	// It names keys in databases that are there: it must not change.
	const key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	if got, want := New(key).Fingerprint(), "bccc1988882e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if New(canary).Fingerprint() == New(canary+" ").Fingerprint() {
		t.Error("two keys, one fingerprint")
	}
}
