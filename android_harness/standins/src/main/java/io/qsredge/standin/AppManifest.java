package io.qsredge.standin;

import java.io.File;
import java.util.HashSet;
import java.util.Set;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** What an app's own AndroidManifest.xml says: Android refuses what is not in it. */
public final class AppManifest {
    public final Set<String> permissions = new HashSet<>();
    public final Set<String> activities = new HashSet<>();
    public final Set<String> services = new HashSet<>();
    public final Set<String> foregroundServiceTypes = new HashSet<>();

    /** The icon's number among the app's resources; 0 if it has none. */
    public final int icon;

    /** @param namespace of the module's build file: names that begin with a dot are below it. */
    public AppManifest(File file, String namespace) throws Exception {
        Document document = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file);
        read(document, "uses-permission", "name", "", permissions);
        read(document, "activity", "name", namespace, activities);
        read(document, "service", "name", namespace, services);
        read(document, "service", "foregroundServiceType", "", foregroundServiceTypes);
        NodeList applications = document.getElementsByTagName("application");
        icon = applications.getLength() > 0 && ((Element) applications.item(0)).hasAttribute("android:icon") ? 17301540 : 0;
    }

    private static void read(Document document, String tag, String attribute, String namespace, Set<String> into) {
        NodeList found = document.getElementsByTagName(tag);
        for (int i = 0; i < found.getLength(); i++) {
            String value = ((Element) found.item(i)).getAttribute("android:" + attribute);
            into.add(value.startsWith(".") ? namespace + value : value);
        }
    }
}
