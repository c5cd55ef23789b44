package synth

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// WriteTree writes all sensors' logs below dir as an operator would have them:
// dir/sensor-01/cowrie.json is the live one, cowrie.json.YYYY-MM-DD those of
// the days before, by UTC. Compress is "none", "gzip" (all days before are
// cowrie.json.YYYY-MM-DD.gz) or "mixed" (every other one is). A file's mtime is
// the time of its last event. A sensor's folder must not exist yet: nothing is
// ever overwritten. If it fails or ctx ends, what was written stays, and the
// counts are of that.
func (o Options) WriteTree(ctx context.Context, dir string, compress string) (Stats, error) {
	o, err := o.settled()
	if err != nil {
		return Stats{}, err
	}
	switch compress {
	case "none", "gzip", "mixed":
	default:
		return Stats{}, fmt.Errorf("%w: compress is none, gzip or mixed, not %q", ErrOptions, compress)
	}

	tallies := make([]tally, o.Sensors)
	errs := make([]error, o.Sensors)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range o.Sensors {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			tallies[i], errs[i] = o.writeSensor(ctx, dir, compress, i)
		})
	}
	wg.Wait()

	all := tally{files: newBitset(o.Hashes)}
	for _, t := range tallies {
		all.add(t)
	}
	return all.stats(), errors.Join(errs...)
}

func (o Options) writeSensor(ctx context.Context, dir, compress string, sensor int) (tally, error) {
	name := SensorName(sensor)
	l := rotating{dir: filepath.Join(dir, name), compress: compress}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return tally{}, fmt.Errorf("write the log of %s: %w", name, err)
	}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		return tally{}, fmt.Errorf("write the log of %s: %w", name, err)
	}
	t, err := newSensor(o, sensor).run(ctx, l.write)
	if end := l.close(); err == nil {
		err = end
	}
	if err != nil {
		return t, fmt.Errorf("write the log of %s: %w", name, err)
	}
	return t, nil
}

// rotating is a log that is put aside at midnight, as Cowrie's is: with the
// first line of a new day.
type rotating struct {
	dir      string
	compress string
	file     *os.File
	out      *bufio.Writer
	last     int64 // time of the last line
	aside    int   // how many were put aside
}

func (l *rotating) live() string { return filepath.Join(l.dir, "cowrie.json") }

func (l *rotating) write(line []byte, at int64) error {
	if l.file != nil && dayOf(at) != dayOf(l.last) {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.file == nil {
		f, err := os.OpenFile(l.live(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		l.file = f
		if l.out == nil {
			l.out = bufio.NewWriterSize(nil, 1<<18)
		}
		l.out.Reset(f)
	}
	l.last = at
	_, err := l.out.Write(line)
	return err
}

// close ends the live log.
func (l *rotating) close() error {
	if l.file == nil {
		return nil
	}
	err := l.out.Flush()
	if end := l.file.Close(); err == nil {
		err = end
	}
	l.file = nil
	if err != nil {
		return err
	}
	return setTime(l.live(), l.last)
}

// rotate puts the live log aside.
func (l *rotating) rotate() error {
	if err := l.close(); err != nil {
		return err
	}
	name := l.live() + time.UnixMicro(l.last).UTC().Format(".2006-01-02")
	if err := os.Rename(l.live(), name); err != nil {
		return err
	}
	l.aside++
	if l.compress == "none" || l.compress == "mixed" && l.aside%2 == 0 {
		return nil
	}
	return gzipFile(name, l.last)
}

// gzipFile replaces a file by its compressed form, as gzip(1) does.
func gzipFile(name string, at int64) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name+".gz", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	z, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is a valid one
	z.Name, z.ModTime = filepath.Base(name), time.UnixMicro(at)
	_, err = io.Copy(z, in)
	if end := z.Close(); err == nil {
		err = end
	}
	if end := out.Close(); err == nil {
		err = end
	}
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	return setTime(name+".gz", at)
}

func setTime(name string, at int64) error {
	t := time.UnixMicro(at)
	return os.Chtimes(name, t, t)
}
