// Command integrations does with go-gitlab what Terraform's GitLab provider does with it: it creates each integration,
// reads it, sends back what it read, and reads it again. Anything that differs then is drift, which Terraform would show
// as a change at every run, or apply without a word.
//
// The daemon's own description says which services there are and which settings each requires; the client's methods say
// which of them it knows. So neither is listed here. What is not covered is printed.
//
// Usage: integrations BASE TOKEN PROJECT EVENT, where EVENT is the file of an event of this project.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/xanzy/go-gitlab"
)

func main() {
	base, token, project, eventFile := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	client, err := gitlab.NewClient(token, gitlab.WithBaseURL(base), gitlab.WithoutRetries())
	check(err, "the client")
	event, err := os.ReadFile(eventFile)
	check(err, "the event")
	daemon := daemon{client, project, event}

	// Terraform's provider asks this before all else.
	user, _, err := client.Users.CurrentUser()
	check(err, "the user")
	version, _, err := client.Version.GetVersion()
	check(err, "the version")
	fmt.Println("user", user.Username, "at version", version.Version)

	offered, known := daemon.offers(), clientMethods()
	var covered, foreign, absent []string
	for slug, offer := range offered {
		if methods, isKnown := known[slug]; isKnown {
			daemon.walk(slug, offer, methods)
			covered = append(covered, slug)
		} else {
			foreign = append(foreign, slug)
		}
	}
	for slug := range known {
		if _, isOffered := offered[slug]; !isOffered {
			absent = append(absent, slug)
		}
	}
	fmt.Println("covered:", sorted(covered))
	fmt.Println("not covered, because the client has no methods for them:", sorted(foreign))
	fmt.Println("known to the client and not offered:", sorted(absent))
	if len(covered) == 0 {
		fail("the client knows none of the services")
	}
	fmt.Println("no drift")
}

// The methods of the client for one service: SetSlackService, GetSlackService.
type methods struct {
	set, get string
}

// clientMethods finds the client's methods by the service that each asks for. They name it in the address of their
// request, which goes nowhere.
func clientMethods() map[string]methods {
	recorder := &recorder{}
	client, err := gitlab.NewClient("", gitlab.WithoutRetries(), gitlab.WithHTTPClient(&http.Client{Transport: recorder}))
	check(err, "the client")
	services := reflect.ValueOf(client.Services)
	found := map[string]methods{}
	for i := 0; i < services.NumMethod(); i++ {
		name := services.Type().Method(i).Name
		if !strings.HasPrefix(name, "Delete") {
			continue
		}
		services.Method(i).Call([]reflect.Value{reflect.ValueOf(1)})
		slug := recorder.path[strings.LastIndex(recorder.path, "/")+1:]
		name = strings.TrimPrefix(name, "Delete")
		if !services.MethodByName("Set" + name).IsValid() {
			continue
		}
		found[slug] = methods{"Set" + name, "Get" + name}
	}
	return found
}

type recorder struct{ path string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.path = request.URL.Path
	return nil, errors.New("this client sends nothing")
}

// What the daemon says of a service: an example of each setting, and which are required.
type offer struct {
	required []string
	examples map[string]interface{}
}

type daemon struct {
	client  *gitlab.Client
	project string
	event   json.RawMessage
}

// offers reads the daemon's description.
func (d daemon) offers() map[string]offer {
	type schema struct {
		Required   []string
		Properties map[string]struct{ Examples []interface{} }
	}
	var document struct {
		Paths map[string]struct {
			Put *struct {
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							Ref string `json:"$ref"`
						}
					}
				}
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	d.ask(http.MethodGet, "openapi.json", nil, &document)
	found := map[string]offer{}
	for path, item := range document.Paths {
		slug := strings.TrimPrefix(path, "/projects/{id}/integrations/")
		if slug == path || strings.Contains(slug, "/") || item.Put == nil {
			continue
		}
		reference := item.Put.RequestBody.Content["application/json"].Schema.Ref
		settings := document.Components.Schemas[strings.TrimPrefix(reference, "#/components/schemas/")]
		examples := map[string]interface{}{}
		for name, property := range settings.Properties {
			if len(property.Examples) > 0 {
				examples[name] = property.Examples[0]
			}
		}
		found[slug] = offer{settings.Required, examples}
	}
	return found
}

// walk does with one service what Terraform does: once with what is required alone, and once with every setting that the
// client has and the daemon takes.
func (d daemon) walk(slug string, offer offer, methods methods) {
	if slug == "jira" {
		// Required for a login by name and password, which a schema can't say.
		offer.required = append(offer.required, "username")
	}
	set := reflect.ValueOf(d.client.Services).MethodByName(methods.set)
	options := set.Type().In(1).Elem()
	for _, round := range []string{"with what is required", "with everything"} {
		where := slug + " " + round
		configured := reflect.New(options)
		for name, field := range byName(configured.Elem()) {
			if value, isThere := offer.examples[name]; isThere && (round == "with everything" || contains(offer.required, name)) {
				assign(field, value, where)
			}
		}
		d.set(set, configured, where)
		first, firstRaw, firstVerdicts := d.read(slug, methods.get)

		applied := reflect.New(options)
		for name, field := range byName(applied.Elem()) {
			if value, isThere := property(firstRaw, first, name); isThere {
				assign(field, value, where)
			} else {
				// Terraform knows what it can't read, secrets before all, from its own configuration.
				field.Set(byName(configured.Elem())[name])
			}
		}
		d.set(set, applied, where)
		second, secondRaw, secondVerdicts := d.read(slug, methods.get)

		same(where+": what the client reads", withoutTime(first), withoutTime(second))
		same(where+": what the daemon shows", withoutBlanks(firstRaw), withoutBlanks(secondRaw))
		same(where+": what becomes of an event", firstVerdicts, secondVerdicts)
		d.delete(slug)
	}
}

func (d daemon) set(method, options reflect.Value, where string) {
	results := method.Call([]reflect.Value{reflect.ValueOf(d.project), options})
	err, _ := results[len(results)-1].Interface().(error)
	check(err, where)
}

// delete switches the service off. Its settings stay.
func (d daemon) delete(slug string) {
	d.ask(http.MethodDelete, "projects/"+d.project+"/integrations/"+slug, nil, nil)
	var shown map[string]interface{}
	d.ask(http.MethodGet, "projects/"+d.project+"/integrations/"+slug, nil, &shown)
	if shown["active"] != false {
		fail(slug + " was deleted and is active")
	}
}

// read returns the integration as the client's own type has it (nil where the client has none), as the daemon shows it,
// and which integrations would deliver an event.
func (d daemon) read(slug, get string) (interface{}, map[string]interface{}, string) {
	var typed interface{}
	if method := reflect.ValueOf(d.client.Services).MethodByName(get); method.IsValid() {
		results := method.Call([]reflect.Value{reflect.ValueOf(d.project)})
		err, _ := results[2].Interface().(error)
		check(err, get)
		typed = results[0].Elem().Interface()
	}
	var raw map[string]interface{}
	d.ask(http.MethodGet, "projects/"+d.project+"/services/"+slug, nil, &raw)
	if raw["active"] != true || raw["slug"] != slug {
		fail(fmt.Sprint(slug, " was set and is shown as ", raw))
	}
	var verdicts json.RawMessage
	d.ask(http.MethodPost, "events/explain", d.event, &verdicts)
	return typed, raw, string(verdicts)
}

// ask makes a request that the client has no method for.
func (d daemon) ask(method, path string, body, answer interface{}) {
	request, err := d.client.NewRequest(method, path, body, nil)
	check(err, path)
	_, err = d.client.Do(request, answer)
	check(err, method+" "+path)
}

// property is a setting or flag as the client reads it, if the daemon shows it at all: of what is not shown, the client
// reads a blank.
func property(raw map[string]interface{}, typed interface{}, name string) (interface{}, bool) {
	properties, _ := raw["properties"].(map[string]interface{})
	_, isSetting := properties[name]
	_, isFlag := raw[name]
	// A tracker has a title of its own beside the service's.
	isFlag = isFlag && !isSetting
	if typed == nil {
		if isFlag {
			return raw[name], true
		}
		return properties[name], isSetting
	}
	integration := reflect.ValueOf(typed)
	if flag, isThere := byName(integration)[name]; isThere && isFlag {
		return flag.Interface(), true
	}
	settings := integration.FieldByName("Properties")
	if !isSetting || settings.IsNil() {
		return nil, false
	}
	setting, isThere := byName(settings.Elem())[name]
	if !isThere {
		return nil, false
	}
	return setting.Interface(), true
}

// byName has the fields of a struct by their names in JSON, those of embedded structs among them.
func byName(value reflect.Value) map[string]reflect.Value {
	found := map[string]reflect.Value{}
	for i := 0; i < value.NumField(); i++ {
		field := value.Type().Field(i)
		if field.Anonymous {
			for name, inner := range byName(value.Field(i)) {
				found[name] = inner
			}
			continue
		}
		found[strings.Split(field.Tag.Get("json"), ",")[0]] = value.Field(i)
	}
	return found
}

// assign sets an optional field; a null is the zero value of its type, as the client reads it.
func assign(field reflect.Value, value interface{}, where string) {
	target := reflect.New(field.Type().Elem())
	text, err := json.Marshal(value)
	check(err, where)
	if err := json.Unmarshal(text, target.Interface()); err != nil {
		// The client has this setting as a text.
		check(json.Unmarshal([]byte(fmt.Sprintf("%q", fmt.Sprint(value))), target.Interface()), where)
	}
	field.Set(target)
}

func withoutTime(typed interface{}) interface{} {
	if typed == nil {
		return nil
	}
	value := reflect.New(reflect.TypeOf(typed)).Elem()
	value.Set(reflect.ValueOf(typed))
	updated := value.FieldByName("UpdatedAt")
	updated.Set(reflect.Zero(updated.Type()))
	return value.Interface()
}

// withoutBlanks leaves out what the client can't tell apart: null, blank and false. When it changed is left out too.
func withoutBlanks(raw map[string]interface{}) map[string]interface{} {
	kept := map[string]interface{}{}
	for name, value := range raw {
		if nested, isObject := value.(map[string]interface{}); isObject {
			value = withoutBlanks(nested)
		}
		if name != "updated_at" && value != nil && value != "" && value != false {
			kept[name] = value
		}
	}
	return kept
}

func same(what string, before, after interface{}) {
	if !reflect.DeepEqual(before, after) {
		fail(fmt.Sprintf("%s differs\nfirst: %s\nthen:  %s", what, shown(before), shown(after)))
	}
}

func shown(value interface{}) string {
	text, err := json.Marshal(value)
	check(err, "what was read")
	return string(text)
}

func contains(names []string, name string) bool {
	for _, other := range names {
		if other == name {
			return true
		}
	}
	return false
}

func sorted(names []string) string {
	sort.Strings(names)
	return strings.Join(names, " ")
}

func check(err error, where string) {
	if err != nil {
		fail(fmt.Sprintf("%s: %v", where, err))
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
