package android.graphics;

/** A stand-in. */
public class Paint {
    public float textSize;

    public void setTextSize(float textSize) { this.textSize = textSize; }
}
