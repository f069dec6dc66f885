package simulator

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// The dials of the API's own answers, and those of the draw.

func code(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 400 || n > 599 {
		return 0, errors.New("takes a status code from 400 to 599, or drop")
	}
	return n, nil
}

func postWord(v string) (string, error) {
	if slices.Contains([]string{"drop", "lost", none}, v) {
		return v, nil
	}
	n, err := code(v)
	if err != nil {
		return "", errors.New("takes a status code from 400 to 599, drop, lost or none")
	}
	return strconv.Itoa(n), nil
}

func addAnswer(f *Faults, v string) (err error) {
	what, times, has := strings.Cut(v, ":")
	a := Answer{Times: 1}
	if what != "drop" {
		if a.Code, err = code(what); err != nil {
			return err
		}
	}
	if times == "all" {
		a.Times = AllRequests
	} else if has {
		if a.Times, err = number(times, 1<<30); err != nil {
			return err
		}
	}
	f.HTTP = append(f.HTTP, a)
	return nil
}

func getAnswers(f Faults) []string {
	var texts []string
	for _, a := range f.HTTP {
		what, times := "drop", "all"
		if a.Code != 0 {
			what = strconv.Itoa(a.Code)
		}
		if a.Times != AllRequests {
			times = strconv.Itoa(a.Times)
		}
		texts = append(texts, what+":"+times)
	}
	return texts
}

func setHTML(f *Faults, v string) error {
	if v != "" {
		return errors.New("takes no value")
	}
	f.HTML = true
	return nil
}

func getHTML(f Faults) []string {
	if !f.HTML {
		return nil
	}
	return []string{""}
}

func setMix(f *Faults, v string) error {
	if v == "" {
		f.Mix = EveryFault()
		return nil
	}
	for alternative := range strings.SplitSeq(v, "/") {
		one, err := ParseFaults(strings.ReplaceAll(alternative, "+", ","))
		if err != nil {
			return err
		}
		f.Mix = append(f.Mix, one)
	}
	return checkMix(f.Mix)
}

func checkMix(mix []Faults) error {
	for _, one := range mix {
		if one.Mix != nil || one.Rate != 0 {
			return errors.New("a mix cannot contain a mix")
		}
		if one.String() == "" {
			return errors.New("an alternative without faults is written callback=once")
		}
	}
	return nil
}

func getMix(f Faults) []string {
	if len(f.Mix) == 0 {
		return nil
	}
	texts := make([]string, len(f.Mix))
	for i, one := range f.Mix {
		texts[i] = strings.ReplaceAll(cmp.Or(one.String(), "callback=once"), ",", "+")
	}
	return []string{strings.Join(texts, "/")}
}

func setRate(f *Faults, v string) error {
	r, err := strconv.ParseFloat(v, 64)
	if err != nil || !(r > 0 && r <= 1) {
		return errors.New("takes a number above 0, to 1")
	}
	f.Rate = r
	return nil
}

func getRate(f Faults) []string {
	if f.Rate == 0 {
		return nil
	}
	return []string{strconv.FormatFloat(f.Rate, 'g', -1, 64)}
}
