import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jacoco.core.analysis.Analyzer;
import org.jacoco.core.analysis.CoverageBuilder;
import org.jacoco.core.analysis.IClassCoverage;
import org.jacoco.core.analysis.ICounter;
import org.jacoco.core.analysis.ISourceFileCoverage;
import org.jacoco.core.data.ExecutionDataStore;
import org.jacoco.core.data.SessionInfoStore;
import org.jacoco.core.instr.Instrumenter;
import org.jacoco.core.runtime.LoggerRuntime;
import org.jacoco.core.runtime.RuntimeData;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Opcodes;

/**
 * Runs JUnit tests and tells which lines of some class folders ran: {@code Coverage NOT_RUN FOLDER... -- SOURCES... -- TEST_CLASS...}.
 * The classes are those that were compiled; JaCoCo counts inside them as they are loaded. Ends with an error if a test fails,
 * or if the lines that did not run are not those that the file NOT_RUN lists with a reason each.
 */
public final class Coverage {
    private static final Pattern INLINED = Pattern.compile("(\\d+)#(\\d+)(?:,(\\d+))?:(\\d+)");
    private final Map<String, byte[]> classes = new LinkedHashMap<>();
    private final Map<String, String> inlineMaps = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        List<List<String>> groups = new ArrayList<>();
        groups.add(new ArrayList<>());
        for (String argument : arguments) {
            if (argument.equals("--")) groups.add(new ArrayList<>());
            else groups.get(groups.size() - 1).add(argument);
        }
        Path notRun = Path.of(groups.get(0).remove(0));
        System.exit(new Coverage().run(notRun, groups.get(0), groups.get(1), groups.get(2)));
    }

    private int run(Path notRun, List<String> folders, List<String> sources, List<String> tests) throws Exception {
        for (String folder : folders) {
            for (Path file : filesBelow(Path.of(folder), ".class")) {
                String name = Path.of(folder).relativize(file).toString().replace('/', '.').replaceAll("\\.class$", "");
                // Of a class that is there twice the first is used, as on a class path.
                if (!classes.containsKey(name)) classes.put(name, withoutInlineMap(name, Files.readAllBytes(file)));
            }
        }
        LoggerRuntime runtime = new LoggerRuntime();
        RuntimeData data = new RuntimeData();
        runtime.startup(data);
        ClassLoader loader = new CountingLoader(new Instrumenter(runtime));
        Thread.currentThread().setContextClassLoader(loader);
        Class<?>[] kinds = new Class<?>[tests.size()];
        for (int i = 0; i < kinds.length; i++) kinds[i] = loader.loadClass(tests.get(i));
        org.junit.runner.JUnitCore junit = new org.junit.runner.JUnitCore();
        junit.addListener(new org.junit.internal.TextListener(System.out));
        int[] left = new int[1];
        junit.addListener(new org.junit.runner.notification.RunListener() {
            @Override public void testAssumptionFailure(org.junit.runner.notification.Failure failure) {
                left[0]++;
                System.out.println("left out: " + failure.getDescription() + ": " + failure.getMessage());
            }
        });
        boolean passed = junit.run(kinds).wasSuccessful();
        ExecutionDataStore executed = new ExecutionDataStore();
        data.collect(executed, new SessionInfoStore(), false);
        runtime.shutdown();
        boolean told = judge(executed, sources, notRun, left[0] > 0);
        return passed && told ? 0 : 1;
    }

    private boolean judge(ExecutionDataStore executed, List<String> sources, Path notRun, boolean incomplete) throws IOException {
        CoverageBuilder found = new CoverageBuilder();
        Analyzer analyzer = new Analyzer(executed, found);
        for (Map.Entry<String, byte[]> one : classes.entrySet()) analyzer.analyzeClass(one.getValue(), one.getKey());
        TreeSet<String> inlined = ranInlined(found);
        int lines = 0;
        TreeSet<String> missed = new TreeSet<>();
        for (ISourceFileCoverage file : found.getSourceFiles()) {
            Path source = sourceOf(file, sources);
            if (source == null) continue;
            List<String> text = Files.readAllLines(source);
            // What the compiler put in from other files has numbers past the end.
            for (int line = file.getFirstLine(); line <= Math.min(file.getLastLine(), text.size()); line++) {
                int status = file.getLine(line).getStatus();
                if (status == ICounter.EMPTY) continue;
                lines++;
                if (status == ICounter.NOT_COVERED && !inlined.contains(file.getName() + ":" + line)) missed.add(source.getFileName() + ": " + text.get(line - 1).strip());
            }
        }
        System.out.printf("lines with instructions: %d, run: %d (%.1f %%)%n", lines, lines - missed.size(), 100.0 * (lines - missed.size()) / lines);
        TreeSet<String> listed = new TreeSet<>();
        for (String line : Files.readAllLines(notRun)) {
            if (!line.isBlank() && !line.startsWith("#")) listed.add(line);
        }
        if (incomplete) {
            System.out.println("tests were left out, so " + notRun + " is not compared with what did not run");
            return true;
        }
        for (String line : missed) {
            if (!listed.contains(line)) System.out.println("error: did not run, and " + notRun + " does not list it: " + line);
        }
        for (String line : listed) {
            if (!missed.contains(line)) System.out.println("error: " + notRun + " lists what ran or is not there: " + line);
        }
        return lines > 0 && missed.equals(listed);
    }

    /** Without the table of lines of inlined functions, which this JaCoCo does not know in the form of Kotlin 2; it is kept aside. */
    private byte[] withoutInlineMap(String name, byte[] content) {
        ClassWriter writer = new ClassWriter(0);
        new ClassReader(content).accept(new ClassVisitor(Opcodes.ASM9, writer) {
            @Override public void visitSource(String source, String debug) {
                if (debug != null) inlineMaps.put(name.replace('.', '/'), debug);
                super.visitSource(source, null);
            }
        }, 0);
        return writer.toByteArray();
    }

    /**
     * Lines of inline functions that ran where the compiler put them in, as "FILE:LINE". In the table (JSR 45) a line of *F is
     * the number and name of a file, one of *L is INPUT_LINE#FILE,COUNT:OUTPUT_LINE.
     */
    private TreeSet<String> ranInlined(CoverageBuilder found) {
        TreeSet<String> ran = new TreeSet<>();
        for (IClassCoverage one : found.getClasses()) {
            String table = inlineMaps.get(one.getName());
            if (table == null) continue;
            Map<String, String> files = new HashMap<>();
            for (String line : table.substring(0, table.indexOf("*E")).split("\n")) {
                String[] words = line.split(" ");
                if (words[0].equals("+") && words.length == 3) files.put(words[1], words[2]);
                Matcher entry = INLINED.matcher(line);
                if (!entry.matches()) continue;
                int count = entry.group(3) == null ? 1 : Integer.parseInt(entry.group(3));
                for (int i = 0; i < count; i++) {
                    int status = one.getLine(Integer.parseInt(entry.group(4)) + i).getStatus();
                    if (status == ICounter.EMPTY || status == ICounter.NOT_COVERED) continue;
                    ran.add(files.get(entry.group(2)) + ":" + (Integer.parseInt(entry.group(1)) + i));
                }
            }
        }
        return ran;
    }

    /** The file of one of the source folders that the package's path and the name lead to; null for classes of others. */
    private static Path sourceOf(ISourceFileCoverage file, List<String> sources) {
        for (String folder : sources) {
            Path path = Path.of(folder, file.getPackageName(), file.getName());
            if (Files.isRegularFile(path)) return path;
        }
        return null;
    }

    private static List<Path> filesBelow(Path folder, String suffix) throws IOException {
        try (java.util.stream.Stream<Path> paths = Files.walk(folder)) {
            return paths.filter(path -> path.toString().endsWith(suffix)).sorted().collect(java.util.stream.Collectors.toList());
        }
    }

    /** Loads the counted classes with JaCoCo's counters inside, and all that refers to them, so that it finds those. */
    private final class CountingLoader extends ClassLoader {
        private static final Pattern OWN = Pattern.compile("(io\\.qsredge|androidx?|ai\\.onnxruntime|org\\.(tensorflow|pytorch))\\.");
        private final Instrumenter instrumenter;

        CountingLoader(Instrumenter instrumenter) {
            super(Coverage.class.getClassLoader());
            this.instrumenter = instrumenter;
        }

        @Override protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                if (loaded != null) return loaded;
                if (!OWN.matcher(name).lookingAt()) return super.loadClass(name, resolve);
                try {
                    byte[] bytes = classes.containsKey(name) ? instrumenter.instrument(classes.get(name), name) : resource(name);
                    return defineClass(name, bytes, 0, bytes.length);
                } catch (IOException error) {
                    throw new ClassNotFoundException(name, error);
                }
            }
        }

        private byte[] resource(String name) throws IOException {
            try (InputStream input = getResourceAsStream(name.replace('.', '/') + ".class")) {
                if (input == null) throw new IOException("no such class");
                return input.readAllBytes();
            }
        }
    }
}
