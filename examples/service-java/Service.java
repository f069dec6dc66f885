// Submits a file by the HTTP API of receiver, waits for the end of its job, and fetches the result, errors and proof.
//
//   SERVICE_URL=http://localhost:8081 SERVICE_TOKEN_FILE=shop.token java Service.java demo contact contacts.csv order-7
//
// The arguments are source, object, file and a key of yours. Run it again with the same key after a crash: that
// makes no second job. It writes result.csv and proof.json, and ends with 0 only if the job succeeded. JDK 17 or later.
import java.io.*;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.*;
import java.net.http.HttpRequest.*;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;

import static java.nio.charset.StandardCharsets.UTF_8;

public class Service {
    static final String BASE = System.getenv("SERVICE_URL").replaceAll("/$", "");
    // HTTP/1.1, because the client would offer HTTP/2 with each request in clear text.
    static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build();
    static String token;

    public static void main(String[] args) throws Exception {
        if (args.length != 4) {
            throw new Refused("usage: java Service.java SOURCE OBJECT FILE KEY");
        }
        try {
            token = Files.readString(Path.of(System.getenv("SERVICE_TOKEN_FILE"))).strip();
            run(args[0], args[1], Path.of(args[2]), args[3]);
        } catch (Refused e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    static void run(String source, String object, Path file, String key) throws Exception {
        String at = "/v1/sources/" + escape(source);
        String atObject = at + "/objects/" + escape(object);
        System.out.println("objects: " + String.join(" ", texts(get(at + "/objects"), "objects", "name")));
        System.out.println("fields: " + String.join(" ", texts(get(atObject), "fields", "vendor_path")));

        byte[] head;
        try (InputStream in = Files.newInputStream(file)) {
            head = in.readNBytes(1 << 16);
        }
        String preflight = atObject + "/preflight?file_name=" + escape(file.toString());
        Object report = call(preflight, Map.of("Content-Type", "text/csv"), BodyPublishers.ofByteArray(head), Service::json);
        System.out.println("preflight: " + text(report, "rows") + " rows, " + text(report, "errors") + " errors");
        if (!text(report, "errors").equals("0")) {
            throw new Refused(String.join("\n", texts(report, "findings", "message")));
        }

        String last = text(get("/v1/jobs?limit=1"), "last"); // the events from here on
        Map<String, String> headers = Map.of("Content-Type", "text/csv", "Idempotency-Key", key);
        Object made;
        do {
            made = call(at + "/jobs?object=" + escape(object), headers, BodyPublishers.ofFile(file), Service::json);
            while (List.of("pending", "unknown").contains(text(made, "state"))) { // the receiver asks the platform
                System.out.println("submission " + text(made, "submission") + ": " + text(made, "state"));
                Thread.sleep(1000);
                made = get(at + "/submissions/" + escape(text(made, "submission")));
            }
        } while (!text(made, "state").equals("submitted"));
        String job = text(made, "job");
        System.out.println("submitted: job " + job);

        String atJob = at + "/jobs/" + escape(job);
        Object end = ended(atJob); // it has, if an earlier run submitted it
        if (end == null) {
            end = follow(source, job, atJob, last);
        }
        System.out.printf("job %s: %s, %s records, %s failed%n", job, text(end, "result"), text(end, "records"), text(end, "failed"));
        if (!text(end, "result").equals("succeeded")) {
            throw new Refused("the job did not succeed: " + text(end, "status"));
        }

        download(atJob + "/result", "result.csv");
        System.out.println("result: result.csv");
        List<String> errors = texts(get(atJob + "/errors"), "errors", "text");
        System.out.println("errors: " + errors.size() + String.join("\n", errors));
        Object callbacks = get("/v1/callbacks?verdict=accepted&job=" + escape(job));
        int finished = texts(callbacks, "callbacks", "kind").indexOf("finished");
        if (finished < 0) {
            throw new Refused("no callback ended the job, so there is no proof: the receiver polled the platform");
        }
        String record = texts(callbacks, "callbacks", "id").get(finished); // as JOBS/8
        download("/v1/callbacks/" + record + "/bundle", "proof.json");
        System.out.println("proof: proof.json, of " + record);
    }

    /** Gives the end of a job; null while it has not ended. */
    static Object ended(String atJob) throws Exception {
        Object job = get(atJob);
        return List.of("finished", "conflict").contains(text(job, "state")) ? ((Map<?, ?>) job).get("job") : null;
    }

    /** Waits for the finished event of a job, behind the event last. A service keeps last with its own data. */
    static Object follow(String source, String job, String atJob, String last) throws Exception {
        while (true) {
            String path = "/v1/events?kind=finished&source=" + escape(source);
            try (InputStream in = call(path, Map.of("Last-Event-ID", last), null, answer -> answer.body()); Events events = new Events(in)) {
                System.out.println("events: behind " + last);
                for (Event e = events.next(); e != null; e = events.next()) {
                    last = e.id.isEmpty() ? last : e.id;
                    if (e.kind.equals("finished") && e.data != null) {
                        Map<?, ?> event = (Map<?, ?>) new Json(e.data).value();
                        if (text(event.get("job"), "id").equals(job)) {
                            System.out.println("event " + last + ": job " + job + " is finished");
                            return event.get("job");
                        }
                    }
                    Object end = e.kind.equals("gap") ? ended(atJob) : null; // older events than the stream keeps
                    if (end != null) {
                        return end;
                    }
                }
            } catch (IOException e) { // the connection broke
                System.out.println(e);
            }
            Thread.sleep(1000);
        }
    }

    /** A Server-Sent Event; data is null of an id that comes without. */
    record Event(String id, String kind, String data) {}

    /** Reads Server-Sent Events, and closes a connection that is silent for 45 seconds: a heartbeat comes every 15. */
    static final class Events implements AutoCloseable {
        private final BufferedReader lines;
        private final Timer timer = new Timer(true);
        private volatile long heard = System.nanoTime();
        private String id = "";

        Events(InputStream in) {
            lines = new BufferedReader(new InputStreamReader(in, UTF_8)); // ends lines at LF or CR LF
            timer.schedule(new TimerTask() {
                @Override
                public void run() {
                    try {
                        if (System.nanoTime() - heard > Duration.ofSeconds(45).toNanos()) {
                            in.close(); // readLine fails then
                        }
                    } catch (IOException e) {
                        cancel();
                    }
                }
            }, 1000, 1000);
        }

        /** Gives the next event; null at the end. It leaves out an event that the end of the connection cut off. */
        Event next() throws IOException {
            String kind = "message";
            List<String> data = new ArrayList<>();
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                heard = System.nanoTime();
                if (line.isEmpty()) { // the end of an event; a comment is a line without a name
                    return new Event(id, kind, data.isEmpty() ? null : String.join("\n", data));
                }
                String[] parts = line.split(": ?", 2);
                String value = parts.length > 1 ? parts[1] : "";
                switch (parts[0]) {
                    case "id" -> id = value;
                    case "event" -> kind = value;
                    case "data" -> data.add(value);
                    default -> { }
                }
            }
            return null;
        }

        @Override
        public void close() {
            timer.cancel();
        }
    }

    /** The receiver will not answer this request otherwise. */
    static final class Refused extends Exception {
        Refused(String message) {
            super(message);
        }
    }

    interface Reading<T> {
        T read(HttpResponse<InputStream> answer) throws IOException;
    }

    static Object get(String path) throws Exception {
        return call(path, Map.of(), null, Service::json);
    }

    static void download(String path, String to) throws Exception {
        call(path, Map.of(), null, answer -> Files.copy(answer.body(), Path.of(to), StandardCopyOption.REPLACE_EXISTING));
    }

    /** Repeats a request until its answer is read, for two minutes at most. Each request of this program may be repeated. */
    static <T> T call(String path, Map<String, String> headers, BodyPublisher body, Reading<T> reading) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(BASE + path)).header("Authorization", "Bearer " + token);
        headers.forEach(request::header);
        if (body != null) {
            request.POST(body);
        } else {
            request.timeout(Duration.ofSeconds(45));
        }
        long giveUp = System.nanoTime() + Duration.ofMinutes(2).toNanos();
        while (true) {
            long seconds = 1;
            String why;
            try {
                HttpResponse<InputStream> answer = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
                if (answer.statusCode() < 300) {
                    return reading.read(answer);
                }
                Object problem = json(answer);
                String type = text(problem, "type").replace("urn:receiver:problem:", "");
                why = text(problem, "detail");
                if (!List.of(429, 502, 503).contains(answer.statusCode()) && !List.of("busy", "not-sealed").contains(type)) {
                    throw new Refused(why);
                }
                seconds = answer.headers().firstValueAsLong("Retry-After").orElse(seconds);
            } catch (IOException e) { // no answer, or only the beginning of one
                why = e.toString();
            }
            if (System.nanoTime() > giveUp) {
                throw new Refused("no answer within two minutes: " + why);
            }
            Thread.sleep(seconds * 1000);
        }
    }

    static String escape(String text) {
        return URLEncoder.encode(text, UTF_8).replace("+", "%20");
    }

    static Object json(HttpResponse<InputStream> answer) throws IOException {
        String text = new String(answer.body().readAllBytes(), UTF_8);
        try {
            return new Json(text).value();
        } catch (RuntimeException e) {
            throw new IOException("status " + answer.statusCode() + ", and not the answer of a receiver", e);
        }
    }

    /** Gives a member of an object as text; "?" if it is absent. */
    static String text(Object object, String name) {
        Object value = ((Map<?, ?>) object).get(name);
        return value == null ? "?" : value.toString();
    }

    /** Gives a member of each object in a list. */
    static List<String> texts(Object object, String list, String name) {
        return ((List<?>) ((Map<?, ?>) object).get(list)).stream().map(o -> text(o, name)).toList();
    }

    /** Reads JSON that is valid, as the receiver's is; what is no text is given as it is written. The JDK has no reader: use a library if you have one. */
    static final class Json {
        private final String in;
        private int i;

        Json(String in) {
            this.in = in;
        }

        Object value() {
            switch (peek()) {
                case '{':
                    Map<String, Object> object = new LinkedHashMap<>();
                    while (more('}')) {
                        String name = text();
                        more(':');
                        object.put(name, value());
                    }
                    return object;
                case '[':
                    List<Object> list = new ArrayList<>();
                    while (more(']')) {
                        list.add(value());
                    }
                    return list;
                case '"':
                    return text();
                default:
                    int from = i;
                    while (i < in.length() && ",]} \n\r\t".indexOf(in.charAt(i)) < 0) {
                        i++;
                    }
                    return in.substring(from, i);
            }
        }

        private char peek() {
            for (; Character.isWhitespace(in.charAt(i)); i++) { }
            return in.charAt(i);
        }

        /** Steps over the bracket or comma before an element; if the end is there instead, over that, and gives false. */
        private boolean more(char end) {
            if (peek() != end) {
                i++;
            }
            if (peek() != end) {
                return true;
            }
            i++;
            return false;
        }

        private String text() {
            StringBuilder out = new StringBuilder();
            peek();
            for (i++; in.charAt(i) != '"'; i++) {
                char c = in.charAt(i);
                if (c == '\\') {
                    c = in.charAt(++i);
                    if (c == 'u') {
                        c = (char) Integer.parseInt(in.substring(i + 1, i + 5), 16);
                        i += 4;
                    } else if ("bfnrt".indexOf(c) >= 0) {
                        c = "\b\f\n\r\t".charAt("bfnrt".indexOf(c));
                    }
                }
                out.append(c);
            }
            i++;
            return out.toString();
        }
    }
}
