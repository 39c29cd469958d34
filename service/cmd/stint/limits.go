package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// parseLimits reads limits from flags. Those that name no strategy are counted by the given one, if there is one.
func parseLimits(flag string, texts []string, strategy string) ([]stint.Limit, error) {
	var counted stint.Strategy
	if strategy != "" {
		var err error
		if counted, err = stint.ParseStrategy(strategy); err != nil {
			return nil, fmt.Errorf("--strategy: %w", err)
		}
	}
	var all []stint.Limit
	for _, text := range texts {
		limits, err := stint.ParseLimits(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		for _, limit := range limits {
			if limit.Strategy == nil && counted != nil {
				limit.Strategy = counted
			}
			all = append(all, limit)
		}
	}
	if len(all) == 0 {
		return nil, errors.New(flag + ` is needed, such as "100/hour" or "10/s burst 20"`)
	}
	return all, nil
}

// promise says what a compiled limit admits, in words.
func promise(l *stint.Limit) string {
	most := l.MostIn(l.Per)
	switch {
	case l.AtOnce() == 0:
		return "nothing is admitted"
	case l.AtOnce() == math.MaxInt64:
		return "everything is admitted"
	case most == math.MaxInt64:
		return fmt.Sprintf("%d at once", l.AtOnce())
	}
	return fmt.Sprintf("%d at once, at most %d in any %s (%s)", l.AtOnce(), most, span(l.Per), l.Strategy.Name())
}

// span is a length of time, in words where it is one of one unit.
func span(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case 24 * time.Hour:
		return "24 hours"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
