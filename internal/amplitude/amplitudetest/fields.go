package amplitudetest

import (
	"regexp"
	"strings"

	"github.com/tidwall/gjson"
)

// check says whether a value fits a documented field.
type check func(gjson.Result) bool

// fields are the event fields of the documents' table (https://amplitude.com/docs/apis/analytics/http-v2, "Keys for
// the event argument"), and the four at the end that all of Amplitude's server SDKs send.
var fields = map[string]check{
	"user_id":                    isString,
	"device_id":                  isString,
	"event_type":                 isEventType,
	"time":                       isTime,
	"insert_id":                  isNonEmpty,
	"event_id":                   isInteger,
	"session_id":                 isSession,
	"event_properties":           isProperties,
	"user_properties":            isProperties,
	"groups":                     isGroups,
	"group_properties":           isProperties,
	"$skip_user_properties_sync": isBool,

	"app_version": isString, "platform": isString, "os_name": isString, "os_version": isString,
	"device_brand": isString, "device_manufacturer": isString, "device_model": isString, "carrier": isString,
	"language": isString, "country": isString, "region": isString, "city": isString, "dma": isString,
	"ip": isString, "user_agent": isString,
	"idfa": isString, "idfv": isString, "adid": isString, "android_id": isString, "android_app_set_id": isString,
	"location_lat": isNumber, "location_lng": isNumber,
	"price": isNumber, "revenue": isNumber, "quantity": isInteger,
	"productId": isString, "revenueType": isString, "currency": isCurrency,
	"plan": stringsNamed("branch", "source", "version", "versionId"),

	"ingestion_metadata": stringsNamed("source_name", "source_version"),
	"library":            isString,
	"partner_id":         isString,
	"version_name":       isString,
}

func isString(v gjson.Result) bool   { return v.Type == gjson.String && !hasNUL(v.Raw) }
func isNonEmpty(v gjson.Result) bool { return isString(v) && v.Str != "" }
func isNumber(v gjson.Result) bool   { return v.Type == gjson.Number }
func isBool(v gjson.Result) bool     { return v.Type == gjson.True || v.Type == gjson.False }

// isInteger wants digits: 1e3 and 1.0 are numbers, but not what the documents call an integer.
func isInteger(v gjson.Result) bool {
	digits := strings.TrimPrefix(v.Raw, "-")
	return v.Type == gjson.Number && len(digits) <= 18 && strings.Trim(digits, "0123456789") == ""
}

func isSession(v gjson.Result) bool { return isInteger(v) && v.Int() >= -1 }

// isTime wants milliseconds since 1970. Seconds, microseconds and nanoseconds of our time lie outside.
func isTime(v gjson.Result) bool {
	const march1973, year2100 = 100_000_000_000, 4_102_444_800_000
	return isInteger(v) && v.Int() >= march1973 && v.Int() < year2100
}

// isEventType refuses the reserved names that only Amplitude writes.
func isEventType(v gjson.Result) bool {
	return isString(v) && !strings.HasPrefix(v.Str, "[Amplitude] ")
}

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

func isCurrency(v gjson.Result) bool { return isString(v) && currency.MatchString(v.Str) }

func stringsNamed(names ...string) check {
	return func(v gjson.Result) bool {
		ok := v.IsObject()
		v.ForEach(func(name, value gjson.Result) bool {
			known := false
			for _, n := range names {
				known = known || n == name.String()
			}
			ok = ok && known && isString(value)
			return ok
		})
		return ok
	}
}

const maxDepth = 40

func isProperties(v gjson.Result) bool {
	return v.IsObject() && !hasNUL(v.Raw) && depth(v.Raw) <= maxDepth
}

// isGroups wants {"type": "value"} or {"type": ["value", …]}, of non-empty strings.
func isGroups(v gjson.Result) bool {
	ok := v.IsObject()
	v.ForEach(func(groupType, value gjson.Result) bool {
		ok = ok && groupType.String() != "" && (isNonEmpty(value) || value.IsArray() && len(value.Array()) > 0)
		if value.IsArray() {
			for _, element := range value.Array() {
				ok = ok && isNonEmpty(element)
			}
		}
		return ok
	})
	return ok && !hasNUL(v.Raw)
}

func hasNUL(raw string) bool { return strings.Contains(raw, `\u0000`) }

// depth is the nesting of objects and arrays in valid JSON.
func depth(raw string) int {
	level, deepest, inString := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
