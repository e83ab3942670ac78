package io.qsredge.standin

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.lang.reflect.Modifier
import java.net.URLClassLoader

/** The stand-ins have every signature that the Android modules are compiled against. */
class SignaturesTest {
    private val stubs = File(System.getProperty("qsr.stubs", "build/stubs"))

    private fun isOffered(modifiers: Int) = Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers)

    /** Members by name and erased types. What is abstract or final does not concern who calls. */
    private fun members(kind: Class<*>): Set<String> {
        val methods =
            kind.declaredMethods.filter { isOffered(it.modifiers) && !it.isSynthetic }.map {
                "${Modifier.isStatic(
                    it.modifiers,
                )} ${it.returnType.name} ${it.name}${it.parameterTypes.map(Class<*>::getName)}"
            }
        val fields =
            kind.declaredFields.filter { isOffered(it.modifiers) && !it.isSynthetic }.map {
                "${Modifier.isStatic(it.modifiers)} ${it.type.name} ${it.name}"
            }
        val constructors =
            kind.declaredConstructors
                .filter { isOffered(it.modifiers) && !Modifier.isAbstract(kind.modifiers) && it.parameterCount > 0 }
                .map { "new${it.parameterTypes.map(Class<*>::getName)}" }
        return (methods + fields + constructors).toSet()
    }

    @Test
    fun everySignatureIsThere() {
        var checked = 0
        URLClassLoader(arrayOf(stubs.toURI().toURL()), ClassLoader.getSystemClassLoader().parent).use { signatures ->
            for (file in stubs.walkTopDown().filter { it.extension == "class" }) {
                val name =
                    file
                        .relativeTo(stubs)
                        .path
                        .removeSuffix(".class")
                        .replace('/', '.')
                if (name.startsWith("androidx.")) continue
                val wanted = Class.forName(name, false, signatures)
                val found = Class.forName(name, false, javaClass.classLoader)
                val lacking = members(wanted) - members(found)
                assertEquals(name, emptySet<String>(), lacking)
                assertEquals(
                    name,
                    wanted.superclass?.name,
                    found.superclass?.name?.let {
                        if (found.isEnum &&
                            !wanted.isEnum
                        ) {
                            "java.lang.Object"
                        } else {
                            it
                        }
                    },
                )
                checked += members(wanted).size
            }
        }
        assertTrue("$checked", checked > 150)
    }
}
